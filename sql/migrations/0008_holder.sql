-- What a worker holds is found by the worker alone.
-- Compatible: only an index, which an older binary's statements do not name.

-- With the state in its predicate, an index that is always nearly empty looked like the cheapest way to every running run,
-- and settling read all of its dead entries: each batch slower than the one before it, until a vacuum.
drop index sexton.run_holder;
create index run_holder on sexton.run (worker) where worker is not null;
