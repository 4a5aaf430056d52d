-- The columns of table $1, in order.
select a.attname::text as name,
       format_type(a.atttypid, a.atttypmod) as type,
       case
           when a.attcollation <> t.typcollation
               then quote_ident(cn.nspname) || '.' || quote_ident(co.collname)
       end as collation,
       a.attnotnull as not_null,
       a.attidentity <> '' as identity,
       a.attgenerated <> '' as generated,
       case when a.attgenerated = '' then pg_get_expr(d.adbin, d.adrelid) end as default_value
from pg_attribute a
join pg_type t on t.oid = a.atttypid
left join pg_collation co on co.oid = a.attcollation
left join pg_namespace cn on cn.oid = co.collnamespace
left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
where a.attrelid = $1
  and a.attnum > 0
  and not a.attisdropped
order by a.attnum
