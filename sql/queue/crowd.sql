-- Crowd: of each job of $1, whether a run is live that waits for no other, how many wait behind others (up to $2 are counted).
select given.job,
       exists (select from sexton.run where run.job = given.job and not behind) as live,
       (select count(*) from (select from sexton.run where run.job = given.job and behind limit $2) as waiting) as behind
from unnest($1::text[]) as given (job)
