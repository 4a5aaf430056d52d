-- Databases that proofs made on a server.
select datname::text from pg_database where datname ~ '^sexton_proof_[0-9]{14}_' order by datname
