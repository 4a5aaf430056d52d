-- What every object of a schema is, as a digest for each aspect of it. Two databases with equal rows here have the
-- same definitions. Casts and brackets in expressions are left out: PostgreSQL prints some of them in another way once
-- it has read its own output (a list of varchars in a CHECK, for one).
with
own_schema as (
    select oid, nspname, nspowner, nspacl
    from pg_namespace
    where nspname !~ '^pg_' and nspname <> 'information_schema'
),
of_extension as (
    select classid, objid from pg_depend where deptype = 'e'
),
relation as (
    select c.*, format('%I.%I', n.nspname, c.relname) as name
    from pg_class c
    join own_schema n on n.oid = c.relnamespace
    where
        c.relkind in ('r', 'p', 'v', 'm', 'f', 'S', 'c')
        and c.relpersistence <> 't'
        and not exists (select from of_extension e where e.classid = 'pg_class'::regclass and e.objid = c.oid)
),
granted as (
    select
        r.oid, r.attnum,
        string_agg(
            concat_ws(
                '/', coalesce(g.rolname, 'public'), a.privilege_type, a.is_grantable
            ), ' ' order by coalesce(g.rolname, 'public'), a.privilege_type, a.is_grantable
        ) as who
    from (
        select oid, 0 as attnum,
            coalesce(relacl, acldefault(case relkind when 'S' then 's' else 'r' end::"char", relowner)) as acl
        from relation
        union all
        select a.attrelid, a.attnum, a.attacl
        from pg_attribute a join relation r on r.oid = a.attrelid
        where a.attacl is not null and not a.attisdropped
    ) r
    cross join lateral aclexplode(r.acl) a
    left join pg_roles g on g.oid = a.grantee
    group by r.oid, r.attnum
),
fact (object, aspect, text) as (
    select 'schema ' || quote_ident(nspname), 'owner', pg_get_userbyid(nspowner)::text from own_schema
    union all
    select 'schema ' || quote_ident(n.nspname), 'grants',
        string_agg(concat_ws('/', coalesce(g.rolname, 'public'), a.privilege_type, a.is_grantable), ' '
            order by coalesce(g.rolname, 'public'), a.privilege_type)
    from own_schema n
    cross join lateral aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a
    left join pg_roles g on g.oid = a.grantee
    group by n.nspname
    union all
    select 'extension ' || quote_ident(extname), 'version', extversion from pg_extension
    union all
    select name, 'kind',
        concat_ws(' ', relkind, relpersistence, relrowsecurity, relforcerowsecurity, relreplident,
            array_to_string(reloptions, ','), pg_get_expr(relpartbound, oid),
            case when relkind = 'p' then pg_get_partkeydef(oid) end,
            (
                select string_agg(i.inhparent::regclass::text, ',' order by i.inhseqno)
                from pg_inherits i where i.inhrelid = relation.oid
            ))
    from relation
    union all
    select name, 'owner', pg_get_userbyid(relowner)::text from relation where relkind <> 'c'
    union all
    select r.name, 'grants', string_agg(concat_ws(' ', g.attnum > 0, a.attname, g.who), '; ' order by a.attname, g.who)
    from granted g
    join relation r on r.oid = g.oid
    left join pg_attribute a on a.attrelid = g.oid and a.attnum = g.attnum and g.attnum > 0
    where r.relkind <> 'c'
    group by r.name
    union all
    select r.name, 'columns',
        string_agg(
            concat_ws(' ', quote_ident(a.attname), format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity,
                a.attgenerated, a.attstorage, a.attcompression, a.attcollation::regcollation,
                pg_get_expr(d.adbin, d.adrelid), array_to_string(a.attoptions, ','),
                col_description(a.attrelid, a.attnum)),
            E'\n' order by a.attnum)
    from relation r
    join pg_attribute a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
    left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where r.relkind <> 'S'
    group by r.name
    union all
    select r.name, 'constraints',
        string_agg(concat_ws(' ', quote_ident(k.conname), k.contype, k.convalidated, pg_get_constraintdef(k.oid)),
            E'\n' order by k.conname)
    from relation r
    join pg_constraint k on k.conrelid = r.oid
    where k.contype <> 't'
    group by r.name
    union all
    select r.name, 'indexes',
        string_agg(concat_ws(' ', pg_get_indexdef(x.indexrelid), x.indisvalid, x.indisclustered, x.indisreplident),
            E'\n' order by x.indexrelid::regclass::text)
    from relation r
    join pg_index x on x.indrelid = r.oid
    group by r.name
    union all
    select r.name, 'triggers',
        string_agg(concat_ws(' ', pg_get_triggerdef(t.oid), t.tgenabled), E'\n' order by t.tgname)
    from relation r
    join pg_trigger t on t.tgrelid = r.oid
    where not t.tgisinternal
    group by r.name
    union all
    select r.name, 'rules', string_agg(pg_get_ruledef(w.oid), E'\n' order by w.rulename)
    from relation r
    join pg_rewrite w on w.ev_class = r.oid
    group by r.name
    union all
    select r.name, 'policies',
        string_agg(
            concat_ws(' ', quote_ident(p.polname), p.polcmd, p.polpermissive,
                (
                    select string_agg(coalesce(g.rolname, 'public'), ',' order by g.rolname)
                    from unnest(p.polroles) u left join pg_roles g on g.oid = u
                ),
                pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)),
            E'\n' order by p.polname)
    from relation r
    join pg_policy p on p.polrelid = r.oid
    group by r.name
    union all
    select r.name, 'comment', obj_description(r.oid, 'pg_class')
    from relation r
    where obj_description(r.oid, 'pg_class') is not null
    union all
    select r.name, 'sequence',
        concat_ws(' ', format_type(s.seqtypid, null), s.seqstart, s.seqincrement, s.seqmax, s.seqmin, s.seqcache,
            s.seqcycle,
            (
                select format('%s.%I', d.refobjid::regclass, a.attname)
                from pg_depend d
                join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
                where d.classid = 'pg_class'::regclass and d.objid = r.oid and d.deptype in ('a', 'i')
                    and d.refclassid = 'pg_class'::regclass and d.refobjsubid > 0
                limit 1
            ))
    from relation r
    join pg_sequence s on s.seqrelid = r.oid
    union all
    select 'type ' || format('%I.%I', n.nspname, t.typname), 'definition',
        concat_ws(' ', t.typtype, t.typnotnull, format_type(nullif(t.typbasetype, 0), t.typtypmod),
            pg_get_expr(t.typdefaultbin, 0), t.typdefault, nullif(t.typcollation, 0)::regcollation,
            (
                select string_agg(quote_literal(e.enumlabel), ',' order by e.enumsortorder)
                from pg_enum e where e.enumtypid = t.oid
            ),
            (
                select string_agg(concat_ws(' ', quote_ident(k.conname), pg_get_constraintdef(k.oid)), ',' order by k.conname)
                from pg_constraint k where k.contypid = t.oid
            ),
            (select format_type(g.rngsubtype, null) from pg_range g where g.rngtypid = t.oid))
    from pg_type t
    join own_schema n on n.oid = t.typnamespace
    where
        t.typtype in ('d', 'e', 'r', 'b')
        and t.typelem = 0
        and not exists (select from of_extension e where e.classid = 'pg_type'::regclass and e.objid = t.oid)
    union all
    select 'function ' || p.oid::regprocedure::text, 'definition',
        case p.prokind
            when 'a' then (
                select concat_ws(' ', 'aggregate', a.aggtransfn, a.aggfinalfn, a.aggtranstype::regtype, a.agginitval)
                from pg_aggregate a where a.aggfnoid = p.oid
            )
            else pg_get_functiondef(p.oid)
        end
    from pg_proc p
    join own_schema n on n.oid = p.pronamespace
    where not exists (select from of_extension e where e.classid = 'pg_proc'::regclass and e.objid = p.oid)
    union all
    select 'function ' || p.oid::regprocedure::text, 'grants',
        string_agg(concat_ws('/', coalesce(g.rolname, 'public'), a.privilege_type, a.is_grantable), ' '
            order by coalesce(g.rolname, 'public'), a.privilege_type)
    from pg_proc p
    join own_schema n on n.oid = p.pronamespace
    cross join lateral aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
    left join pg_roles g on g.oid = a.grantee
    where not exists (select from of_extension e where e.classid = 'pg_proc'::regclass and e.objid = p.oid)
    group by p.oid
    union all
    select 'event trigger ' || quote_ident(evtname), 'definition',
        concat_ws(' ', evtevent, evtfoid::regproc, evtenabled, array_to_string(evttags, ','))
    from pg_event_trigger t
    where not exists (select from of_extension e where e.classid = 'pg_event_trigger'::regclass and e.objid = t.oid)
    union all
    select 'publication ' || quote_ident(p.pubname), 'definition',
        concat_ws(' ', p.puballtables, p.pubinsert, p.pubupdate, p.pubdelete, p.pubtruncate,
            (select string_agg(r.prrelid::regclass::text, ',' order by r.prrelid::regclass::text)
                from pg_publication_rel r where r.prpubid = p.oid))
    from pg_publication p
    union all
    select 'statistics ' || format('%I.%I', n.nspname, s.stxname), 'definition', pg_get_statisticsobjdef(s.oid)
    from pg_statistic_ext s
    join own_schema n on n.oid = s.stxnamespace
    union all
    select 'foreign server ' || quote_ident(s.srvname), 'definition',
        concat_ws(' ', f.fdwname, s.srvtype, s.srvversion)
    from pg_foreign_server s
    join pg_foreign_data_wrapper f on f.oid = s.srvfdw
    where not exists (select from of_extension e where e.classid = 'pg_foreign_server'::regclass and e.objid = s.oid)
    union all
    select 'collation ' || format('%I.%I', n.nspname, c.collname), 'definition',
        concat_ws(' ', c.collprovider, c.collisdeterministic, c.collcollate, c.collctype)
    from pg_collation c
    join own_schema n on n.oid = c.collnamespace
    where not exists (select from of_extension e where e.classid = 'pg_collation'::regclass and e.objid = c.oid)
    union all
    select 'default grants of ' || pg_get_userbyid(d.defaclrole), concat_ws(' ', n.nspname, d.defaclobjtype),
        string_agg(concat_ws('/', coalesce(g.rolname, 'public'), a.privilege_type, a.is_grantable), ' '
            order by coalesce(g.rolname, 'public'), a.privilege_type)
    from pg_default_acl d
    left join pg_namespace n on n.oid = d.defaclnamespace
    cross join lateral aclexplode(d.defaclacl) a
    left join pg_roles g on g.oid = a.grantee
    group by d.defaclrole, n.nspname, d.defaclobjtype
    union all
    select 'operator ' || o.oid::regoperator::text, 'definition', o.oprcode::text
    from pg_operator o
    join own_schema n on n.oid = o.oprnamespace
    where not exists (select from of_extension e where e.classid = 'pg_operator'::regclass and e.objid = o.oid)
    union all
    select 'text search ' || c.oid::regconfig::text, 'definition', p.prsname::text
    from pg_ts_config c
    join own_schema n on n.oid = c.cfgnamespace
    join pg_ts_parser p on p.oid = c.cfgparser
    where not exists (select from of_extension e where e.classid = 'pg_ts_config'::regclass and e.objid = c.oid)
    union all
    select 'cast ' || c.castsource::regtype || ' to ' || c.casttarget::regtype, 'definition',
        concat_ws(' ', nullif(c.castfunc, 0)::regprocedure, c.castcontext, c.castmethod)
    from pg_cast c
    where
        c.oid >= 16384
        and not exists (select from of_extension e where e.classid = 'pg_cast'::regclass and e.objid = c.oid)
)
select
    object,
    aspect,
    left(
        md5(
            regexp_replace(
                regexp_replace(
                    text,
                    '::("[^"]+"|[a-z_][a-z0-9_.]*)( varying| precision)?(\([0-9, ]+\))?( with(out)? time zone)?(\[\])*',
                    '', 'g'),
                '[()[:space:]]', '', 'g')),
        16) as digest
from fact
where text is not null
order by object collate "C", aspect collate "C"
