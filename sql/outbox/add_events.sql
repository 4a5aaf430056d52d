-- Write events.
insert into sexton.event (id, kind, subject, run, incident, repeat, channels, detail, at)
select id, kind::sexton.event_kind, subject, run, incident, repeat,
       array(select jsonb_array_elements_text(channels)), detail, at
from unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::uuid[], $6::bigint[], $7::jsonb[], $8::jsonb[], $9::timestamptz[])
    as new (id, kind, subject, run, incident, repeat, channels, detail, at)
