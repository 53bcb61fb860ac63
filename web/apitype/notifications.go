package apitype

import (
	"time"

	"github.com/sallyport/sallyport/internal/id"
)

// Notification is one message of the outbox, for one receiver.
type Notification struct {
	ID       string     `json:"id" doc:"also in the Message-ID of a mail and the webhook-id of a webhook"`
	Kind     string     `json:"kind" doc:"request.asked, request.granted, request.denied, request.expired, grant.withdrawn, emergency, review.overdue, change.proposed, or test"`
	Request  string     `json:"request,omitempty" doc:"id of the request; absent for a test"`
	Device   id.Device  `json:"device,omitempty"`
	Channel  string     `json:"channel" doc:"mail, or webhook: with the name of the webhook"`
	To       string     `json:"to,omitempty" doc:"address of a mail"`
	State    string     `json:"state" doc:"pending; sent: the receiver has accepted it; dead: not delivered, and not tried again"`
	Attempts int        `json:"attempts"`
	Error    string     `json:"error,omitempty" doc:"of the last attempt"`
	Created  time.Time  `json:"created"`
	NextTry  *time.Time `json:"next_try" doc:"while pending"`
	Done     *time.Time `json:"done" doc:"when it was sent or became a dead letter"`
}

// NotificationPage is one page of notifications, newest first. Total counts all that match.
type NotificationPage struct {
	Notifications []Notification `json:"notifications"`
	Total         int            `json:"total"`
	Page          int            `json:"page"`
	Size          int            `json:"size"`
}

// NotificationTest asks for a test of notifications.
type NotificationTest struct {
	Webhook string `json:"webhook,omitempty" maxLength:"31" doc:"name of a webhook; empty: a mail to the caller"`
}
