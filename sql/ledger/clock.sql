-- What the database's clock says at this very moment.
select clock_timestamp()
