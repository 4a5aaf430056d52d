-- Is any run of job $1 live: waiting, ready, running, backing off or held?
select exists (select from sexton.run where job = $1)
