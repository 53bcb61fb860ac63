package apitype

import "time"

// Retention says which recordings may be deleted when. Nothing is deleted by asking.
type Retention struct {
	At     time.Time  `json:"at" doc:"time that due and due_bytes refer to"`
	Groups []Retained `json:"groups" doc:"by the month in which the retention time ends, the earliest first"`
}

// Retained sums up the recordings of one class whose retention time ends in one month.
type Retained struct {
	Class      string     `json:"class" doc:"routine, running or unannounced; more classes come with holds"`
	Month      string     `json:"month,omitempty" doc:"2026-01, in UTC; absent where the log promises nothing"`
	Recordings int        `json:"recordings"`
	Bytes      int64      `json:"bytes" doc:"size of the containers, without their slot files"`
	Oldest     *time.Time `json:"oldest,omitempty" doc:"when the oldest began"`
	First      *time.Time `json:"first_due,omitempty" doc:"the earliest end of a retention time"`
	Due        int        `json:"due" doc:"recordings whose retention time is over"`
	DueBytes   int64      `json:"due_bytes"`
}
