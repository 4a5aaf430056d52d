-- How the backups of each name fare, whatever vaults they are in.
select name,
       max(taken_at) filter (where state in ('proven', 'sampled')) as proven_taken_at,
       (array_agg(restore_seconds order by taken_at desc) filter (where restore_seconds is not null))[1]
           as restore_seconds,
       (array_agg(bytes order by taken_at desc))[1] as bytes,
       (array_agg(dump_bytes order by taken_at desc) filter (where seconds is not null))[1] as dump_bytes,
       (array_agg(seconds order by taken_at desc) filter (where seconds is not null))[1] as seconds
from sexton.backup
where deleted_at is null
group by name
order by name
