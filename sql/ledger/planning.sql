-- Planning: the database's time, when and by whom the newest decision of any schedule was made, and whose queue this is.
select clock_timestamp() as now,
       newest.decided_at,
       newest.decided_by,
       (select instance from sexton.installation) as instance
from (values (1)) as one (row)
left join lateral (
    select decided_at, decided_by
    from sexton.slot
    order by decided_at desc
    limit 1
) as newest on true
