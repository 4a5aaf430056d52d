-- Forget the files of up to $2 daemons that have been silent for $1.
delete from sexton.daemon_files
where daemon = any (array(select daemon from sexton.daemon_files where seen_at < now() - $1::interval limit $2))
