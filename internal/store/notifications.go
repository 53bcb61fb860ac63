package store

import (
	"time"

	"github.com/sallyport/sallyport/internal/id"
)

// States of a notification.
const (
	NotificationPending = "pending" // not accepted by its receiver yet
	NotificationSent    = "sent"    // accepted by the mail server or the webhook's receiver
	NotificationDead    = "dead"    // a dead letter: the gateway does not try again by itself
)

// ChannelMail is the channel of mails. Every other channel is the name of a webhook, with this prefix.
const (
	ChannelMail    = "mail"
	ChannelWebhook = "webhook:"
)

// Notification is one message in the outbox, for one receiver.
type Notification struct {
	ID       string // 26 characters of lower-case base32; stays the same in every attempt
	Kind     string
	Request  string // id of the request that it is about; empty: a test
	Device   id.Device
	Channel  string // ChannelMail, or ChannelWebhook with the name of the webhook
	To       string // address of a mail; empty for a webhook
	Event    []byte // what the message says, in JSON
	State    string
	Created  time.Time
	GiveUp   time.Time // an attempt that fails after this makes a dead letter
	NextTry  time.Time // while pending
	Done     time.Time // when it left pending
	Attempts int
	Error    string // of the last attempt
}

// NotificationFilter narrows a listing; zero fields mean any.
type NotificationFilter struct {
	States []string
	ID     string // a beginning of it
	Page   Page
}
