-- Write line $2 into the log of data set $1.
select sexton.log_operation($1, $2)
