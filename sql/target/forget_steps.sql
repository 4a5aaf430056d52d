-- Forget how far runs were that nobody has touched for 30 days.
delete from sexton.step
where at < now() - interval '30 days'
