//! The appointment service's API.

use crate::api;
use crate::appointment_answers::{AnswerTaken, PatientsAnswer};
pub use crate::appointment_bodies::{
    Appointment, AppointmentBooked, AppointmentCancelled, AppointmentFilter, AppointmentRequest,
    AppointmentStatus, AppointmentUpdated, Slot, SlotFilter, Warning,
};
pub use crate::appointment_history::{AppointmentChange, FieldChange, HistoryFilter};
use crate::audit::{AuditEvents, AuditSearch};
use crate::audit_verification::{ServiceVerification, VerificationQuery};
use crate::availability::{
    AppointmentConflict, ConflictFilter, ConflictResolved, EventStream, NextSlot, NextSlotFilter,
    ResolutionRequest, WatchFilter,
};
use crate::erasure::ServiceErasure;
use crate::event::{Accepted, Event};
use crate::export::{ExportPage, ExportSearch};
use crate::feeds::{CalendarText, Feed, FeedCreated, FeedFile, FeedFilter, FeedRequest, FeedRevoked};
use crate::id::{
    AppointmentId, FeedId, PatientId, ProviderId, ReferralId, SeriesId, SlotHoldId, WaitlistId, WatchId,
    WebhookId,
};
use crate::keys::ServiceKeys;
use crate::merge_patch::MergePatch;
use crate::outside_calendars::{ChangeHeard, OutsideCalendar};
use crate::page::Page;
use crate::referrals::{
    AcceptRequest, DeclineRequest, Referral, ReferralFilter, ReferralRequest, ReferralSaved, WithdrawRequest,
};
use crate::reports::{ProviderReported, ProvidersReported, ReportFilter, ReportsFilter, Written};
use crate::reschedule::{RescheduleRequest, Rescheduled};
use crate::retention::{RetainedPage, RetainedSearch, RetentionRequest, ServiceRetention};
use crate::series::{Series, SeriesBooked, SeriesChange, SeriesRequest, SeriesUpdated};
pub use crate::slot_holds::{Busy, CancelledBy};
use crate::slot_holds::{CancelQuery, SlotHeld, SlotHold, SlotHoldReleased, SlotHoldRequest};
use crate::statistics::{StatisticsFilter, StatisticsReport};
use crate::waitlist::{WaitlistChanged, WaitlistEntry, WaitlistFilter, WaitlistRequest};
use crate::webhooks::{Webhook, WebhookCreated, WebhookDeleted, WebhookRequest};

api! {
    service AppointmentService, tag "Appointments", client AppointmentsClient;

    /// Create a new appointment.
    book_appointment: BookAppointment = Post "/api/appointments" (body AppointmentRequest),
        needs AppointmentsWrite, answers 201 AppointmentBooked;

    /// List appointments by patient, provider, status and dates.
    list_appointments: ListAppointments = Get "/api/appointments" (query AppointmentFilter),
        needs AppointmentsRead, answers 200 Page<Appointment>;

    /// Retrieve an appointment by ID.
    appointment_by_id: AppointmentById = Get "/api/appointments/{appointmentId}" [appointment_id: AppointmentId],
        needs AppointmentsRead, answers 200 Appointment;

    /// Update an appointment.
    update_appointment: UpdateAppointment = Put "/api/appointments/{appointmentId}" [appointment_id: AppointmentId]
        (body MergePatch<Appointment>),
        needs AppointmentsWrite, answers 200 AppointmentUpdated;

    /// Cancel an appointment.
    cancel_appointment: CancelAppointment = Delete "/api/appointments/{appointmentId}" [appointment_id: AppointmentId]
        (query CancelQuery),
        needs AppointmentsWrite, answers 200 AppointmentCancelled;

    /// Who changed what in an appointment, and when.
    appointment_history: AppointmentHistory = Get "/api/appointments/{appointmentId}/history"
        [appointment_id: AppointmentId] (query HistoryFilter),
        needs AppointmentsRead, answers 200 Page<AppointmentChange>;

    /// Hold a slot for a few minutes, so that nobody else has it meanwhile.
    hold_slot: HoldSlot = Post "/api/appointments/holds" (body SlotHoldRequest),
        needs AppointmentsWrite, answers 201 SlotHeld;

    /// The slots that the caller holds.
    list_slot_holds: ListSlotHolds = Get "/api/appointments/holds",
        needs AppointmentsWrite, answers 200 Page<SlotHold>;

    /// Give a held slot back.
    release_slot: ReleaseSlot = Delete "/api/appointments/holds/{holdId}" [hold_id: SlotHoldId],
        needs AppointmentsWrite, answers 200 SlotHoldReleased;

    /// Book appointments that recur by a rule.
    book_series: BookSeries = Post "/api/appointments/series" (body SeriesRequest),
        needs AppointmentsWrite, answers 201 SeriesBooked;

    /// Retrieve a series with its appointments.
    series_by_id: SeriesById = Get "/api/appointments/series/{seriesId}" [series_id: SeriesId],
        needs AppointmentsRead, answers 200 Series;

    /// Move or call off what is still to come of a series.
    update_series: UpdateSeries = Put "/api/appointments/series/{seriesId}" [series_id: SeriesId] (body SeriesChange),
        needs AppointmentsWrite, answers 200 SeriesUpdated;

    /// Cancel what is still to come of a series.
    cancel_series: CancelSeries = Delete "/api/appointments/series/{seriesId}" [series_id: SeriesId] (query CancelQuery),
        needs AppointmentsWrite, answers 200 SeriesUpdated;

    /// Wait for a time to become free.
    join_waitlist: JoinWaitlist = Post "/api/appointments/waitlist" (body WaitlistRequest),
        needs AppointmentsWrite, answers 201 WaitlistEntry;

    /// List who waits, for what, and what is offered to them.
    list_waitlist: ListWaitlist = Get "/api/appointments/waitlist" (query WaitlistFilter),
        needs AppointmentsRead, answers 200 Page<WaitlistEntry>;

    /// Wait no more.
    leave_waitlist: LeaveWaitlist = Delete "/api/appointments/waitlist/{waitlistId}" [waitlist_id: WaitlistId],
        needs AppointmentsWrite, answers 200 WaitlistChanged;

    /// Take what is offered: it is booked.
    accept_offer: AcceptOffer = Post "/api/appointments/waitlist/{waitlistId}/accept" [waitlist_id: WaitlistId],
        needs AppointmentsWrite, answers 200 WaitlistChanged;

    /// Do not take what is offered: the next who waits is offered it.
    decline_offer: DeclineOffer = Post "/api/appointments/waitlist/{waitlistId}/decline" [waitlist_id: WaitlistId],
        needs AppointmentsWrite, answers 200 WaitlistChanged;

    /// Move the appointments of a provider who is away, or say what would be done.
    reschedule_all: RescheduleAll = Post "/api/appointments/reschedule" (body RescheduleRequest),
        needs AppointmentsWrite, answers 200 Rescheduled;

    /// Count appointments by day, week, month, provider, speciality or kind of visit: as JSON, CSV or a picture.
    appointment_statistics: AppointmentStatistics = Get "/api/appointments/statistics" (query StatisticsFilter),
        needs AppointmentsRead, answers 200 StatisticsReport;

    /// Report on a provider: visits, no-shows, lead time, utilisation and the next free slot, as JSON or CSV.
    provider_report: ProviderReport = Get "/api/providers/{providerId}/report" [provider_id: ProviderId] (query ReportFilter),
        needs AppointmentsRead, answers 200 Written<ProviderReported>;

    /// The same of several providers, or of specialities.
    provider_reports: ProviderReports = Get "/api/providers/reports" (query ReportsFilter),
        needs AppointmentsRead, answers 200 Written<ProvidersReported>;

    /// A provider's free slots: stated hours less what is booked.
    provider_slots: ProviderSlots = Get "/api/providers/{providerId}/slots" [provider_id: ProviderId] (query SlotFilter),
        needs AppointmentsRead, answers 200 Page<Slot>, unaudited;

    /// Providers with their next free slots, the soonest first.
    next_slots: NextSlots = Get "/api/slots" (query NextSlotFilter),
        needs AppointmentsRead, answers 200 Page<NextSlot>, unaudited;

    /// Be told, as it happens, that something has changed in when a provider can be booked.
    availability_events: AvailabilityEvents = Get "/api/providers/{providerId}/availability/events" [provider_id: ProviderId]
        (query WatchFilter),
        needs AppointmentsRead, answers 200 EventStream, unaudited;

    /// Have an address told of the same, signed (Standard Webhooks); the secret is told once.
    create_webhook: CreateWebhook = Post "/api/providers/{providerId}/availability/webhooks" [provider_id: ProviderId]
        (body WebhookRequest),
        needs ProvidersSchedule, answers 201 WebhookCreated;

    /// The addresses that are told of a provider's availability, and how each does.
    list_webhooks: ListWebhooks = Get "/api/providers/{providerId}/availability/webhooks" [provider_id: ProviderId],
        needs ProvidersSchedule, answers 200 Page<Webhook>;

    /// Have an address told nothing any more.
    delete_webhook: DeleteWebhook = Delete "/api/providers/{providerId}/availability/webhooks/{webhookId}"
        [provider_id: ProviderId, webhook_id: WebhookId],
        needs ProvidersSchedule, answers 200 WebhookDeleted;

    /// Appointments to come that somebody must move, cancel or keep, each with what is free instead.
    list_conflicts: ListConflicts = Get "/api/appointments/conflicts" (query ConflictFilter),
        needs AppointmentsWrite, answers 200 Page<AppointmentConflict>;

    /// Move, keep or cancel an appointment that is in conflict.
    resolve_conflict: ResolveConflict = Post "/api/appointments/{appointmentId}/conflict" [appointment_id: AppointmentId]
        (body ResolutionRequest),
        needs AppointmentsWrite, answers 200 ConflictResolved;

    /// Make a calendar feed of a patient's or a provider's appointments; its address is told once.
    create_feed: CreateFeed = Post "/api/appointments/feeds" (body FeedRequest),
        needs FeedsWrite, answers 201 FeedCreated;

    /// A patient's or a provider's calendar feeds.
    list_feeds: ListFeeds = Get "/api/appointments/feeds" (query FeedFilter),
        needs FeedsRead, answers 200 Page<Feed>;

    /// Revoke a calendar feed.
    revoke_feed: RevokeFeed = Delete "/api/appointments/feeds/{feedId}" [feed_id: FeedId],
        needs FeedsWrite, answers 200 FeedRevoked;

    /// The calendar of a feed, for calendar programs: `fileId` is its secret and `.ics`.
    feed_calendar: FeedCalendar = Get "/api/appointments/feeds/{feedId}/{fileId}" [feed_id: FeedId, file_id: FeedFile],
        public, answers 200 CalendarText;

    /// The calendars outside that appointments are kept in step with, and how far each is.
    list_outside_calendars: ListOutsideCalendars = Get "/api/appointments/calendars",
        needs FeedsRead, answers 200 Page<OutsideCalendar>, unaudited;

    /// Take Google's word that a calendar has changed; it comes with the channel's token.
    outside_calendar_changed: OutsideCalendarChanged = Post "/api/appointments/calendars/google/{watchId}" [watch_id: WatchId],
        public, answers 200 ChangeHeard, unaudited;

    /// Refer a patient to another provider, or to a speciality.
    create_referral: CreateReferral = Post "/api/referrals" (body ReferralRequest),
        needs AppointmentsWrite, answers 201 ReferralSaved;

    /// List referrals, newest first.
    list_referrals: ListReferrals = Get "/api/referrals" (query ReferralFilter),
        needs AppointmentsRead, answers 200 Page<Referral>;

    /// Retrieve a referral, and what was done with it.
    referral_by_id: ReferralById = Get "/api/referrals/{referralId}" [referral_id: ReferralId],
        needs AppointmentsRead, answers 200 Referral;

    /// Accept a referral.
    accept_referral: AcceptReferral = Post "/api/referrals/{referralId}/accept" [referral_id: ReferralId]
        (body AcceptRequest),
        needs AppointmentsWrite, answers 200 ReferralSaved;

    /// Decline a referral.
    decline_referral: DeclineReferral = Post "/api/referrals/{referralId}/decline" [referral_id: ReferralId]
        (body DeclineRequest),
        needs AppointmentsWrite, answers 200 ReferralSaved;

    /// Withdraw a referral that nothing has come of yet.
    withdraw_referral: WithdrawReferral = Post "/api/referrals/{referralId}/withdraw" [referral_id: ReferralId]
        (body WithdrawRequest),
        needs AppointmentsWrite, answers 200 ReferralSaved;

    /// Take a patient's word on their appointment, by a link that they were sent.
    take_answer: TakeAnswer = Post "/internal/appointments/{appointmentId}/answer" [appointment_id: AppointmentId] (body PatientsAnswer),
        needs AnswersTell, answers 200 AnswerTaken;

    /// Take an event.
    deliver_to_appointments: DeliverToAppointments = Post "/internal/events" (body Event),
        needs InternalCall, answers 200 Accepted;

    /// What this service holds of a patient.
    export_of_appointments: ExportOfAppointments = Get "/internal/export/{patientId}" [patient_id: PatientId] (query ExportSearch),
        needs HoldingsCollect, answers 200 ExportPage;

    /// What this service did with the data of a patient who was deleted.
    erasure_of_appointments: ErasureOfAppointments = Get "/internal/erasure/{patientId}" [patient_id: PatientId],
        needs HoldingsCollect, answers 200 ServiceErasure;

    /// What this service keeps of a patient who was deleted.
    retained_by_appointments: RetainedByAppointments = Get "/internal/retained/{patientId}" [patient_id: PatientId] (query RetainedSearch),
        needs HoldingsCollect, answers 200 RetainedPage;

    /// Take away what has had its time here, or say what would go.
    carry_retention_of_appointments: CarryRetentionOfAppointments = Post "/internal/retention" (body RetentionRequest),
        needs RetentionCarry, answers 200 ServiceRetention;

    /// What this service wrote in the audit.
    audit_of_appointments: AuditOfAppointments = Get "/internal/audit" (query AuditSearch),
        needs AuditCollect, answers 200 AuditEvents;

    /// What this service's data keys are wrapped under.
    keys_of_appointments: KeysOfAppointments = Get "/internal/keys",
        needs KeysCollect, answers 200 ServiceKeys, unaudited;

    /// Whether what this service wrote in the audit is as it was written.
    verify_audit_of_appointments: VerifyAuditOfAppointments = Get "/internal/audit/verification" (query VerificationQuery),
        needs AuditCollect, answers 200 ServiceVerification;
}
