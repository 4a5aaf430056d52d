-- Remove what has been in the quarantine for too long.
select sexton.migrate_forget()
