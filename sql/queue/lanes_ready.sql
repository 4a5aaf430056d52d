-- Lanes ready: whether a run that needs something or that something limits is ready.
select exists (select from sexton.run where lane > 0 and claim_rank > '-infinity')
