-- Remove jobs that revision $1 does not have.
delete from sexton.job where revision <> $1
