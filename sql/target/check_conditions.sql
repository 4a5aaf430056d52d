-- Have PostgreSQL read the conditions of data set $1.
select sexton.check_conditions($1, sexton.checked_shape($1))
