package apitype

import (
	"time"

	"github.com/sallyport/sallyport/internal/id"
)

// Session is one technician on one device under one login.
type Session struct {
	ID         id.Session `json:"id"`
	Device     id.Device  `json:"device"`
	Site       string     `json:"site,omitempty"`
	User       string     `json:"user"`
	Subject    string     `json:"subject,omitempty"`
	Login      string     `json:"login"`
	Action     string     `json:"action"`
	Argv       []string   `json:"argv,omitempty" doc:"the command; in a list its first KiB, and then …"`
	PTY        bool       `json:"pty"`
	State      string     `json:"state" doc:"asked, decided, announced, dialled, live, held, ended, closed, archived, refused"`
	Asked      time.Time  `json:"asked"`
	Started    *time.Time `json:"started"`
	Ended      *time.Time `json:"ended"`
	Until      *time.Time `json:"until,omitempty" doc:"hard stop"`
	Reason     string     `json:"reason" doc:"why it ended"`
	Purpose    string     `json:"purpose" doc:"what the technician said it is for"`
	Ticket     string     `json:"ticket,omitempty"`
	Rule       string     `json:"rule,omitempty"`
	Via        string     `json:"via" doc:"web or token"`
	Front      string     `json:"front" doc:"browser, cli or ssh"`
	Address    string     `json:"address,omitempty"`
	ExitStatus *int       `json:"exit_status,omitempty"`
	ExitSignal string     `json:"exit_signal,omitempty"`
	BytesIn    int64      `json:"bytes_in"`
	BytesOut   int64      `json:"bytes_out"`
	Hidden     int64      `json:"hidden" doc:"ranges typed at a hidden prompt"`
	Gaps       int64      `json:"gaps"`
	Record     string     `json:"record" doc:"recording, complete, gap, cut, missing or empty"`
	Mine       bool       `json:"mine"`
}

// SessionPage is one page of sessions. Total counts all that match.
type SessionPage struct {
	Sessions []Session `json:"sessions"`
	Total    int       `json:"total"`
	Page     int       `json:"page"`
	Size     int       `json:"size"`
}

// SessionNew asks for a session. The answer's ticket is the first message on the terminal socket, single use, 10 s.
type SessionNew struct {
	Device string `json:"device"`
	Login  string `json:"login,omitempty" doc:"empty: the only login that may be opened"`
	Program
	Purpose string `json:"purpose,omitempty" maxLength:"500"`
	Ticket  string `json:"ticket,omitempty" maxLength:"500"`
	Front   string `json:"front,omitempty" enum:"browser,cli"`
}

// Program is what a channel starts: a shell or a command, with or without a terminal.
type Program struct {
	Argv []string `json:"argv,omitempty" doc:"a command; empty: a shell"`
	PTY  bool     `json:"pty,omitempty"`
	Cols int      `json:"cols,omitempty" minimum:"0" maximum:"500"`
	Rows int      `json:"rows,omitempty" minimum:"0" maximum:"300"`
	Term string   `json:"term,omitempty" maxLength:"64" doc:"A-Z a-z 0-9 . _ + -; empty: xterm-256color"`
	Lang string   `json:"lang,omitempty" maxLength:"64" doc:"LANG on the device: A-Z a-z 0-9 . _ @ -"`
	// Locale has the other locale variables of POSIX by name.
	Locale map[string]string `json:"locale,omitempty" maxProperties:"7" doc:"LC_ALL to LC_TIME, values as lang"`
}

// ChannelTicket is permission to connect the terminal socket for one more channel of a session that runs.
type ChannelTicket struct {
	Session id.Session `json:"session"`
	Channel uint32     `json:"channel" doc:"number of the channel within the session"`
	Ticket  string     `json:"ticket"`
	Socket  string     `json:"socket" doc:"path of the terminal socket"`
}

// SessionTicket is permission to connect the terminal socket.
type SessionTicket struct {
	Session id.Session `json:"session"`
	Ticket  string     `json:"ticket"`
	Socket  string     `json:"socket" doc:"path of the terminal socket"`
	Login   string     `json:"login"`
	Rule    string     `json:"rule"`
	Until   *time.Time `json:"until,omitempty"`
	Notice  []string   `json:"notice" doc:"the four lines: sessions are recorded"`
}

// Part is one container of a session's recording.
type Part struct {
	Part    uint32     `json:"part"`
	File    string     `json:"file"`
	Bytes   int64      `json:"bytes"`
	Started time.Time  `json:"started"`
	Ended   *time.Time `json:"ended,omitempty"`
	State   string     `json:"state"`
	Open    *uint64    `json:"open_leaf,omitempty"`
	Close   *uint64    `json:"close_leaf,omitempty"`
}

// SessionDetail is the Session page.
type SessionDetail struct {
	Session
	Parts     []Part     `json:"parts"`
	Decision  string     `json:"decision,omitempty" doc:"why it was allowed or refused"`
	PolicySHA string     `json:"policy_sha256,omitempty"`
	Rights    PageRights `json:"rights"`
	// MoreChannels leaves out those that were refused. One that was allowed need not have been opened.
	MoreChannels int `json:"more_channels,omitempty" doc:"channels beyond the first that were allowed"`
	// Survivors come from the log, because the device reports them when the record is closed or was cut.
	Survivors []string `json:"survivors,omitempty" doc:"the device's reports on processes that outlived the session"`
	// Every other field comes from the database.
	Differs     []string `json:"differs,omitempty" doc:"differences between the database and the signed evidence"`
	NotCompared string   `json:"not_compared,omitempty" doc:"why the database was not compared with the signed evidence"`
}

// PageRights says what the asker may do with this session.
type PageRights struct {
	End    bool `json:"end"`
	Replay bool `json:"replay"`
	Export bool `json:"export"`
}

// Typed is one stretch of input in the record. Sealed stretches have no text.
type Typed struct {
	At     float64 `json:"at" doc:"seconds since the session began"`
	Ch     uint32  `json:"ch"`
	Offset uint64  `json:"offset"`
	Bytes  uint64  `json:"bytes"`
	Sealed bool    `json:"sealed"`
	Text   string  `json:"text,omitempty" doc:"control characters as ^X"`
}

// Command is one process known to have run.
type Command struct {
	At     float64  `json:"at"`
	Ch     uint32   `json:"ch"`
	Source string   `json:"source"`
	Argv   []string `json:"argv"`
	Status *int     `json:"status,omitempty"`
	Signal string   `json:"signal,omitempty"`
	Ended  *float64 `json:"ended,omitempty"`
}

// Timeline is everything the player shows beside the screen.
type Timeline struct {
	Duration float64   `json:"duration" doc:"seconds"`
	Active   float64   `json:"active" doc:"seconds without the idle stretches"`
	Started  time.Time `json:"started"`
	Cols     int       `json:"cols"`
	Rows     int       `json:"rows"`
	Input    []Typed   `json:"input"`
	Commands []Command `json:"commands"`
	Notes    []Mark    `json:"notes"`
	Gaps     []Mark    `json:"gaps"`
	Idle     []Span    `json:"idle"`
	Channels []Channel `json:"channels,omitempty" doc:"by number; replay, transcript, input and cast are of one of them"`
	Whole    bool      `json:"whole"`
	Cut      string    `json:"cut,omitempty" doc:"where and why the record ends early"`
}

// Channel is one program of a session, as the gateway recorded it. What the device says of it is a Command.
type Channel struct {
	Ch       uint32   `json:"ch"`
	Program  string   `json:"program,omitempty" enum:"shell,command" doc:"absent: the record does not say"`
	Command  string   `json:"command,omitempty" doc:"the command line that the device was asked to run; control characters as ^X"`
	Login    string   `json:"login,omitempty"`
	Terminal bool     `json:"terminal"`
	Began    float64  `json:"began" doc:"seconds since the session began"`
	Ended    *float64 `json:"ended,omitempty" doc:"absent: the record has no end of it"`
	Status   *int     `json:"status,omitempty"`
	Signal   string   `json:"signal,omitempty"`
	BytesOut uint64   `json:"bytes_out"`
	Idle     []Span   `json:"idle,omitempty" doc:"in which nothing was typed or shown on it; only with more than one channel"`
}

// Mark is a note pinned to a time.
type Mark struct {
	At   float64 `json:"at"`
	Kind string  `json:"kind"`
	Text string  `json:"text"`
	Ch   uint32  `json:"ch,omitempty" doc:"the channel that it is about; absent: the session"`
}

// Span is a stretch of time.
type Span struct {
	From float64 `json:"from"`
	To   float64 `json:"to"`
}

// Check is one line of a verification.
type Check struct {
	Level  string `json:"level" doc:"A no key, B reading key, C unsealing key; log: the entry that must be in the log first; row: the database"`
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	NotYet bool   `json:"not_yet,omitempty" doc:"the record is not written yet, so it is neither proven nor broken"`
	Text   string `json:"text"`
	File   string `json:"file,omitempty"`
	Offset *int64 `json:"offset,omitempty"`
}

// Verdict is the outcome of verifying a session's record.
type Verdict struct {
	OK      bool    `json:"ok"`
	NotYet  bool    `json:"not_yet,omitempty" doc:"the session is being opened, nothing is wrong: ask again"`
	Summary string  `json:"summary" doc:"in words: Yes. / Yes, with 1 gap. / Not yet: … / No: …"`
	Checks  []Check `json:"checks"`
	Levels  string  `json:"levels" doc:"which levels ran"`
}
