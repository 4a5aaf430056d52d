-- The whole (not partial) indexes on plain columns of table $1, the primary key first.
select i.indisprimary as main,
       i.indisunique as is_unique,
       array(
           select a.attname::text
           from unnest(i.indkey::int2[]) with ordinality k (number, place)
           join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.number
           where k.place <= i.indnkeyatts
           order by k.place
       ) as columns
from pg_index i
where i.indrelid = $1
  and i.indisvalid
  and i.indpred is null
  and i.indexprs is null
order by i.indisprimary desc, i.indexrelid
