-- Which cluster a server runs.
select system_identifier::text from pg_control_system()
