-- The jobs of revision $1 are published, and those that name no channels tell $2.
update sexton.revision set default_alert = $2 where id = $1
