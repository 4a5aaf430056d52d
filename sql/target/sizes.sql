-- How many rows each table of data set $1 has, in main and in the archive.
select label, main, archive
from sexton.sizes($1)
order by place
