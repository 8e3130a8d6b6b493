// The record types, one table each: which kinds are their steps, which lists gather them, and what the event
// around the detail says of a field that no step names. docs/records.md shows each with its steps.
#include "audit/records.h"

namespace vestige::audit {
namespace {

using enum Rule::Take;
using Names = std::string_view[];

constexpr Names original_only = {"original"};

// When, where an element does not say so itself.
constexpr Rule when_rules[] = {{.to = "timestamp", .from = "time"}};

// --------------------------------------------------------------------------------- email, sms, push

constexpr Rule delivery_event_rules[] = {
    {.to = "timestamp", .from = "detail/timestamp"},
    {.to = "timestamp", .from = "time"},
    {.to = "event_type", .from = "detail/event_type"},
};

constexpr Names email_kinds = {"communication.email"};
constexpr Rule email_rules[] = {
    {.to = "email_id", .from = "targetId"},
    {.to = "timestamp", .from = "time", .take = last, .when = "detail/event_type"},
    {.to = "timestamp", .from = "detail/timestamp", .take = last, .when = "detail/event_type"},
    {.to = "recipient_details/customer_id", .from = "subject"},
    {.to = "sender_details/user_id", .from = "sourceId", .when = "detail/event_type", .equals = "sent"},
    {.to = "delivery_tracking/delivery_status",
     .from = "=pending",
     .take = last,
     .when = "detail/event_type",
     .equals = "sent"},
    {.to = "delivery_tracking/delivery_status",
     .from = "=successful",
     .take = last,
     .when = "detail/event_type",
     .equals = "delivered"},
    {.to = "delivery_tracking/delivery_status",
     .from = "=failed",
     .take = last,
     .when = "detail/event_type",
     .equals = "bounced"},
    {.to = "delivery_tracking/delivery_status",
     .from = "=failed",
     .take = last,
     .when = "detail/event_type",
     .equals = "failed"},
    {.to = "delivery_tracking/delivery_time",
     .from = "time",
     .when = "detail/event_type",
     .equals = "delivered"},
    {.to = "delivery_tracking/read_receipt", .from = "time", .when = "detail/event_type", .equals = "opened"},
};
constexpr RecordList email_lists[] = {
    {.to = "events", .when = "detail/event_type", .from = {}, .rules = delivery_event_rules},
    {.to = "delivery_tracking/click_tracking",
     .when = "detail/click",
     .from = "detail/click",
     .rules = when_rules},
};
constexpr Names email_leave_out = {"original", "click", "timestamp"};

constexpr Names sms_kinds = {"communication.sms"};
constexpr Rule sms_rules[] = {{.to = "sms_id", .from = "targetId"}, {.to = "customer_id", .from = "subject"}};
constexpr Names push_kinds = {"communication.push"};
constexpr Rule push_rules[] = {{.to = "push_id", .from = "targetId"},
                               {.to = "customer_id", .from = "subject"}};
constexpr RecordList message_lists[] = {
    {.to = "events", .when = "detail/event_type", .from = {}, .rules = delivery_event_rules}};
constexpr Names message_leave_out = {"original", "timestamp"};

// -------------------------------------------------------------------------------- chat, note, call

constexpr Names chat_kinds = {"communication.chat"};
constexpr Rule chat_rules[] = {{.to = "chat_id", .from = "targetId"},
                               {.to = "customer_id", .from = "subject"},
                               {.to = "started_at", .from = "time"}};
constexpr Rule chat_message_rules[] = {{.to = "timestamp", .from = "time"},
                                       {.to = "sender", .from = "sourceId"}};
constexpr RecordList chat_lists[] = {
    {.to = "messages", .when = "detail/message", .from = "detail/message", .rules = chat_message_rules}};
constexpr Names chat_leave_out = {"original", "message"};

constexpr Names note_kinds = {"communication.note"};
constexpr Rule note_rules[] = {{.to = "note_id", .from = "targetId"},
                               {.to = "customer_id", .from = "subject"},
                               {.to = "timestamp", .from = "time"},
                               {.to = "author", .from = "sourceId"}};

constexpr Names call_kinds = {"communication.call"};
constexpr Rule call_rules[] = {{.to = "call_id", .from = "targetId"},
                               {.to = "customer_id", .from = "subject"},
                               {.to = "call_timestamp", .from = "time"}};

// ----------------------------------------------------------------------------------------- template

constexpr Names template_kinds = {"template"};
constexpr Rule template_rules[] = {
    {.to = "template_id", .from = "targetId"},
    {.to = "creation_date", .from = "time"},
    {.to = "last_modified", .from = "time", .take = last, .when = "detail/version_number"},
    {.to = "author", .from = "sourceId", .when = "detail/version_number"},
    {.to = "compliance_review/last_review_date",
     .from = "time",
     .take = last,
     .when = "detail/compliance_review/compliance_status"},
    {.to = "compliance_review/reviewer",
     .from = "sourceId",
     .take = last,
     .when = "detail/compliance_review/compliance_status"},
};

// ------------------------------------------------------------------------------------ ticket, order

constexpr Names ticket_kinds = {"ticket"};
constexpr Rule ticket_rules[] = {
    {.to = "ticket_id", .from = "targetId"},
    {.to = "customer_id", .from = "subject"},
    {.to = "creation_timestamp", .from = "time"},
    {.to = "status", .from = "detail/status_change/new_status", .take = last},
    {.to = "resolution_details/resolution_timestamp",
     .from = "time",
     .take = last,
     .when = "detail/resolution_details/resolution_type"},
};
constexpr Rule status_rules[] = {{.to = "timestamp", .from = "time"},
                                 {.to = "changed_by", .from = "sourceId"}};
constexpr Rule ticket_communication_rules[] = {{.to = "timestamp", .from = "time"},
                                               {.to = "user", .from = "sourceId"}};
constexpr RecordList ticket_lists[] = {
    {.to = "status_history",
     .when = "detail/status_change",
     .from = "detail/status_change",
     .rules = status_rules},
    {.to = "communication_log",
     .when = "detail/communication",
     .from = "detail/communication",
     .rules = ticket_communication_rules},
};
constexpr Names ticket_leave_out = {"original", "status_change", "communication"};

constexpr Names order_kinds = {"order"};
constexpr Rule order_rules[] = {
    {.to = "order_id", .from = "targetId"},
    {.to = "customer_id", .from = "subject"},
    {.to = "order_timestamp", .from = "time", .when = "detail/order_event/event_type", .equals = "placed"},
    {.to = "status", .from = "detail/order_event/new_status", .take = last},
    {.to = "payment_audit/payment_timestamp",
     .from = "time",
     .take = last,
     .when = "detail/payment_audit/payment_status"},
    {.to = "shipping_audit/actual_delivery",
     .from = "time",
     .take = last,
     .when = "detail/order_event/event_type",
     .equals = "delivered"},
};
constexpr Rule order_event_rules[] = {{.to = "timestamp", .from = "time"},
                                      {.to = "triggered_by", .from = "sourceId"}};
constexpr RecordList order_lists[] = {
    {.to = "order_events",
     .when = "detail/order_event",
     .from = "detail/order_event",
     .rules = order_event_rules},
    {.to = "communication_audit",
     .when = "detail/communication",
     .from = "detail/communication",
     .rules = when_rules},
};
constexpr Names order_leave_out = {"original", "order_event", "communication"};

// ------------------------------------------------------------------------------- sessions, security

constexpr Names session_kinds = {"access.session", "access.security"};
constexpr Rule session_rules[] = {
    {.to = "session_id", .from = "targetId"},
    {.to = "user_id", .from = "detail/user_id"},
    {.to = "user_id", .from = "sourceId", .when = "detail/login_method"},
    {.to = "user_id", .from = "sourceId", .when = "detail/activity"},
    {.to = "login_timestamp", .from = "time", .when = "detail/login_method"},
    {.to = "logout_timestamp", .from = "time", .take = last, .when = "action", .equals = "LOGGED_OUT"},
    {.to = "ip_address", .from = "context/ip", .when = "detail/login_method"},
    {.to = "user_agent", .from = "context/userAgent", .when = "detail/login_method"},
    {.to = "geographic_location", .from = "context/location", .when = "detail/login_method"},
};
constexpr Rule security_rules[] = {{.to = "timestamp", .from = "time"},
                                   {.to = "ip_address", .from = "context/ip"}};
constexpr RecordList session_lists[] = {
    {.to = "session_activities",
     .when = "detail/activity",
     .from = "detail/activity",
     .rules = when_rules,
     .kind = "access.session"},
    {.to = "security_events",
     .when = {},
     .from = "detail",
     .rules = security_rules,
     .kind = "access.security",
     .key = {},
     .leave_out = original_only},
};
constexpr Names session_leave_out = {"original", "activity"};
constexpr Names security_kinds = {"access.security"};
constexpr Rule target_rules[] = {{.to = "target_id", .from = "targetId"},
                                 {.to = "target_type", .from = "targetType"}};
constexpr RecordList security_lists[] = {session_lists[1]};

// A session of this server's own: what was looked at in it stands in the same stream.
constexpr Names signed_in_kinds = {"access.session", "access.security", "data.access"};
constexpr Rule signed_in_rules[] = {
    {.to = "session_id", .from = "targetId", .when = "targetType", .equals = "SESSION"},
    session_rules[1],
    session_rules[2],
    session_rules[4],
    session_rules[5],
    session_rules[6],
    session_rules[7],
    session_rules[8],
};
constexpr Rule look_rules[] = {
    {.to = "timestamp", .from = "time"},
    {.to = "action", .from = "detail/access_type"},
    {.to = "resource", .from = "detail/operation"},
    {.to = "outcome", .from = "detail/outcome"},
    {.to = "details", .from = "detail/access_reason"},
};
constexpr RecordList signed_in_lists[] = {
    session_lists[0],
    {.to = "session_activities", .when = {}, .from = {}, .rules = look_rules, .kind = "data.access"},
    session_lists[1],
};
constexpr RecordType signed_in = {"session",       signed_in_kinds, "access.session",
                                  signed_in_rules, signed_in_lists, session_leave_out};

// ---------------------------------------------------------------------------------------------- data

constexpr Names data_kinds = {"data.change", "data.access"};
constexpr Rule data_rules[] = {{.to = "data_id", .from = "targetId"},
                               {.to = "data_type", .from = "detail/data_type", .take = last}};
constexpr Rule::Name change_names[] = {
    {"field", "field_name"}, {"old", "previous_value"}, {"new", "new_value"}, {"reason", "change_reason"}};
constexpr Rule modification_rules[] = {
    {.to = "modification_id", .from = "id"},
    {.to = "timestamp", .from = "time"},
    {.to = "user_id", .from = "sourceId"},
    {.to = "modification_type", .from = "=create", .when = "action", .equals = "CREATED"},
    {.to = "modification_type", .from = "=update", .when = "action", .equals = "UPDATED"},
    {.to = "modification_type", .from = "=delete", .when = "action", .equals = "DELETED"},
    {.to = "field_changes", .from = "changes", .names = change_names},
    // No such event says these itself: audit::check_claims().
    {.to = "approval_required", .from = "=yes", .when = "context/approval"},
    {.to = "approval_status", .from = "=approved", .when = "context/approval"},
    {.to = "approver", .from = "context/approval/approver"},
    {.to = "approval", .from = "context/approval"},
};
constexpr Rule data_access_rules[] = {{.to = "timestamp", .from = "time"},
                                      {.to = "user_id", .from = "sourceId"}};
constexpr Names data_leave_out = {"original", "data_type"};
constexpr Names modification_leave_out = {"approval", "original", "data_type"};  // the server's word alone
constexpr RecordList data_lists[] = {
    {.to = "modification_events",
     .when = {},
     .from = "detail",
     .rules = modification_rules,
     .kind = "data.change",
     .key = "modification_id",
     .leave_out = modification_leave_out},
    {.to = "access_events",
     .when = {},
     .from = "detail",
     .rules = data_access_rules,
     .kind = "data.access",
     .key = {},
     .leave_out = data_leave_out},
};

// ------------------------------------------------------------------------------------------- privacy

constexpr Names request_kinds = {"privacy.request"};
constexpr Rule request_rules[] = {
    {.to = "request_id", .from = "targetId"},
    {.to = "customer_id", .from = "subject"},
    {.to = "request_timestamp", .from = "time"},
    {.to = "processing_timeline/actual_completion",
     .from = "time",
     .take = last,
     .when = "detail/processing_timeline/status",
     .equals = "completed"},
};
constexpr Names consent_kinds = {"privacy.consent"};
constexpr Rule consent_rules[] = {
    {.to = "customer_id", .from = "subject"},
    {.to = "consent_timestamp",
     .from = "time",
     .take = last,
     .when = "detail/consent_status",
     .equals = "active"},
    {.to = "withdrawal_timestamp",
     .from = "time",
     .take = last,
     .when = "detail/consent_status",
     .equals = "withdrawn"},
};
constexpr Names breach_kinds = {"privacy.breach"};
constexpr Rule breach_rules[] = {{.to = "incident_id", .from = "targetId"},
                                 {.to = "discovery_timestamp", .from = "time"}};
constexpr Rule remediation_rules[] = {{.to = "timestamp", .from = "time"},
                                      {.to = "taken_by", .from = "sourceId"}};
constexpr RecordList breach_lists[] = {{.to = "remediation_actions",
                                        .when = "detail/remediation_action",
                                        .from = "detail/remediation_action",
                                        .rules = remediation_rules}};
constexpr Names breach_leave_out = {"original", "remediation_action"};

constexpr RecordType types[] = {
    {"breach", breach_kinds, "privacy.breach", breach_rules, breach_lists, breach_leave_out},
    {"call", call_kinds, "communication.call", call_rules, {}, original_only},
    {"chat", chat_kinds, "communication.chat", chat_rules, chat_lists, chat_leave_out},
    {"consent", consent_kinds, "privacy.consent", consent_rules, {}, original_only},
    {"data", data_kinds, {}, data_rules, data_lists, {}},
    {"email", email_kinds, "communication.email", email_rules, email_lists, email_leave_out},
    {"note", note_kinds, "communication.note", note_rules, {}, original_only},
    {"order", order_kinds, "order", order_rules, order_lists, order_leave_out},
    {"push", push_kinds, "communication.push", push_rules, message_lists, message_leave_out},
    {"request", request_kinds, "privacy.request", request_rules, {}, original_only},
    {"security", security_kinds, {}, target_rules, security_lists, {}},
    {"session", session_kinds, "access.session", session_rules, session_lists, session_leave_out},
    {"sms", sms_kinds, "communication.sms", sms_rules, message_lists, message_leave_out},
    {"template", template_kinds, "template", template_rules, {}, original_only},
    {"ticket", ticket_kinds, "ticket", ticket_rules, ticket_lists, ticket_leave_out},
};

}  // namespace

std::span<const RecordType> record_types() { return types; }
const RecordType& signed_in_session() { return signed_in; }

}  // namespace vestige::audit
