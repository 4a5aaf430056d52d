-- Forget the files of daemon $1.
delete from sexton.daemon_files where daemon = $1
