-- Live: every run of job $1 that is not over.
select id from sexton.run where job = $1
