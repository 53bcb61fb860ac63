package wire

import (
	"fmt"

	"golang.org/x/crypto/ssh"
)

// MaxChannel is the highest number of a channel. Numbers are never used again, so it bounds the channels of a session.
const MaxChannel = 1024

// SessionChannel is the extra data in the open of a "session" channel (RFC 4254 section 5.1): the number by which
// events and the recording identify the channel. If both ends counted channels instead, they could count channels
// that are opened together in different orders.
type SessionChannel struct{ Channel uint32 }

// Marshal gives the four bytes of the extra data.
func (c SessionChannel) Marshal() []byte { return ssh.Marshal(c) }

// ParseSessionChannel reads the extra data of an open. It returns an error unless they are exactly a number from 1 to
// MaxChannel. The error's text may be sent to the other end.
func ParseSessionChannel(extra []byte) (uint32, error) {
	var c SessionChannel
	if len(extra) == 0 {
		return 0, fmt.Errorf("a session channel is opened with its number")
	}
	if err := ssh.Unmarshal(extra, &c); err != nil {
		return 0, fmt.Errorf("a session channel is opened with its number alone")
	}
	if c.Channel < 1 || c.Channel > MaxChannel {
		return 0, fmt.Errorf("the number of a session channel is 1 to %d", MaxChannel)
	}
	return c.Channel, nil
}
