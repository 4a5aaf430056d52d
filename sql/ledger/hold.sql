-- Hold schedule $1 until the transaction ends, if its watermark is still $2, its revision $3, and nobody else holds it.
select true
from sexton.schedule
where name = $1 and watermark = $2 and revision = $3 and enabled and removed_at is null
for update skip locked
