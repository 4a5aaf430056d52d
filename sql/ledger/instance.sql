-- Whose queue this is; nobody has said: no row.
select instance from sexton.installation
