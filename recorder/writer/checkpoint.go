package writer

import "fmt"

// checkpoint lists the session files that must be durable before a half of the journal is used again.
type checkpoint struct {
	epoch uint64
	files []*Recording
}

// rotate continues in the other half of the journal, and has the files of this half made durable. It waits until the
// other half is free. A disk that cannot keep up so slows all sessions.
func (n *Node) rotate() {
	j := n.jr
	if j.busy {
		<-j.freed
	}
	c := checkpoint{epoch: j.epoch}
	for r := range j.dirty {
		c.files = append(c.files, r)
	}
	clear(j.dirty)
	j.busy = true
	j.jobs <- c
	j.which, j.pos = 1-j.which, 0
	j.epoch++
}

// rotateEarly rotates after some time even if the half is not full. It never waits.
func (n *Node) rotateEarly() {
	j := n.jr
	if j.busy {
		select {
		case <-j.freed:
			j.busy = false
		default:
			return
		}
	}
	if j.pos > 0 {
		n.rotate()
	}
}

// checkpoints runs until the committer has stopped.
func (n *Node) checkpoints() {
	for c := range n.jr.jobs {
		if err := n.checkpoint(c); err != nil {
			n.fail(err)
		}
		n.jr.freed <- struct{}{}
	}
}

// checkpoint makes the files durable. It closes those that were finished in this epoch.
func (n *Node) checkpoint(c checkpoint) error {
	for _, r := range c.files {
		if n.failed() != nil {
			return nil // after a failed sync, the result of a later one means nothing
		}
		if err := r.f.Datasync(); err != nil {
			return &syncError{r.name, err}
		}
		if r.lastEpoch.Load() == c.epoch {
			if err := r.f.Close(); err != nil {
				return &syncError{r.name, fmt.Errorf("close: %w", err)}
			}
		}
	}
	return nil
}
