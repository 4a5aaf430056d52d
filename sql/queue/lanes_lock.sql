-- Lanes lock: take the turn to let runs through their gates, if nobody has it; and the time.
select pg_try_advisory_xact_lock(7378697629483820646), now()
