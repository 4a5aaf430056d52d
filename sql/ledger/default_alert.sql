-- Whom jobs of the current revision tell that name no channels; null before its jobs are published.
select default_alert from sexton.revision order by id desc limit 1
