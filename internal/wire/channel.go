package wire

import (
	"fmt"

	"golang.org/x/crypto/ssh"
)

// MaxChannel is the highest number of a channel, and so how many a session opens at most.
const MaxChannel = 1024

// SessionChannel is the extra data of the open of a "session" channel (RFC 4254 section 5.1): the number under which
// events and recording name the channel. Channels that are opened at once arrive in any order, so counting them would
// give both ends different numbers.
type SessionChannel struct{ Channel uint32 }

// Marshal gives the four bytes of the extra data.
func (c SessionChannel) Marshal() []byte { return ssh.Marshal(c) }

// ParseSessionChannel reads the extra data of an open. It returns an error, in words for the other end, unless they are
// exactly a number from 1 to MaxChannel.
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
