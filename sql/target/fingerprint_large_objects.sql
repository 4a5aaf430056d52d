-- All large objects, a mebibyte at a time: a sparse one has the same bytes after a restore, but other pages.
select
    count(distinct o.oid) as rows,
    coalesce(sum(hashtextextended(format('%s %s %s', o.oid, piece.at, md5(lo_get(o.oid, piece.at, 1048576))), 0)), 0)::text
        as sum
from (
    select m.oid, lo_lseek64(lo_open(m.oid, x'40000'::int), 0, 2) as bytes
    from pg_largeobject_metadata m
    offset 0
) o
cross join lateral generate_series(0, greatest(o.bytes - 1, 0), 1048576) as piece (at)
