-- Why a legal hold is on a patient, who placed it and when: one sealed body, under the service's key, since it outlives the patient's. Whether it is on
-- stands in `legal_hold`, as in every service.
create table hold_reason (
    patient_id text not null primary key,
    body       blob not null
) strict;
