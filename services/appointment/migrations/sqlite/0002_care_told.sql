-- The version of an appointment that the others were told of, as far as it says who treats whom. What the version before this one wrote, and
-- what stood there before, is told by the job that looks for it.
alter table appointment add column care_told integer not null default 0;

create index appointment_care_idx on appointment (id) where care_told < version and patient_id is not null;
