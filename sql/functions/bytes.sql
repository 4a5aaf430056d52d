-- The bytes of a table with its indexes and all its partitions; 0 for one that is not there.
create or replace function sexton.bytes(oid jsonb) returns bigint
language sql stable
begin atomic
    select coalesce(sum(pg_total_relation_size(t.relid)), 0)::bigint
    from pg_partition_tree((oid #>> '{}')::oid) t;
end;
