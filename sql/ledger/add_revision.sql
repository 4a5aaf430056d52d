-- Add a revision: digest $1, files $2, by $3.
insert into sexton.revision (digest, files, applied_by) values ($1, $2, $3) returning id
