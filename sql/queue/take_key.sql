-- Take key $2 of job $1 with parameters $3 for run $4, or give the run that has it; waits for whoever is taking it.
select kept_run as run, same from sexton.take_key($1, $2, $3, $4)
