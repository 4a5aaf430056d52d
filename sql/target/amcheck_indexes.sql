-- Looks at every B-tree index with its table's rows; raises an error at the first that is corrupt.
select count(*) from (
    select sexton_amcheck.bt_index_check(i.indexrelid, true)
    from pg_index i
    join pg_class c on c.oid = i.indexrelid
    join pg_am a on a.oid = c.relam
    where a.amname = 'btree' and c.relkind = 'i' and c.relpersistence <> 't' and i.indisvalid and i.indisready
    offset 0
) looked
