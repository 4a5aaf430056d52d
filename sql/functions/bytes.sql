-- The bytes of a table with its indexes and all its partitions; 0 for one that is not there.
create or replace function sexton.bytes(oid jsonb) returns bigint
language sql stable
begin atomic
    -- Only a partitioned table has a tree; any other is asked itself.
    select coalesce(sum(pg_total_relation_size(t.relid)), pg_total_relation_size((oid #>> '{}')::oid), 0)::bigint
    from pg_partition_tree((oid #>> '{}')::oid) t;
end;
