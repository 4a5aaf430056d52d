-- Everything that decides how a value looks as text, so that two servers print the same.
select
    set_config('search_path', '', false),
    set_config('quote_all_identifiers', 'off', false),
    set_config('extra_float_digits', '1', false),
    set_config('datestyle', 'ISO', false),
    set_config('intervalstyle', 'postgres', false),
    set_config('bytea_output', 'hex', false),
    set_config('timezone', 'UTC', false),
    set_config('lc_monetary', 'C', false),
    set_config('xmloption', 'content', false),
    set_config('row_security', 'off', false),
    set_config('statement_timeout', '0', false),
    set_config('idle_in_transaction_session_timeout', '0', false)
