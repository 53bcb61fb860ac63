package apitype

import "time"

// Retention says which recordings may be deleted when, by the rows of the database. Nothing is deleted by asking.
type Retention struct {
	At     time.Time  `json:"at" doc:"time that due and due_bytes refer to"`
	Groups []Retained `json:"groups" doc:"by the month in which the retention time ends, the earliest first"`
}

// Retained sums up the recordings of one class whose retention time ends in one month.
type Retained struct {
	Class      string     `json:"class" doc:"routine: the row has an entry of the log that announces the recording, and an end; running: it has no end; unannounced: it has no such entry"`
	Month      string     `json:"month,omitempty" doc:"2026-01, in UTC; absent if the row has no date"`
	Recordings int        `json:"recordings"`
	Bytes      int64      `json:"bytes" doc:"size of the containers when they ended, without their slot files; 0 for a recording without an end"`
	Oldest     *time.Time `json:"oldest,omitempty" doc:"when the oldest began"`
	First      *time.Time `json:"first_due,omitempty" doc:"the earliest end of a retention time"`
	Due        int        `json:"due" doc:"recordings with an end whose retention time is over"`
	DueBytes   int64      `json:"due_bytes"`
}
