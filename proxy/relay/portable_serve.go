package relay

// serve lives the life, hands over the summary and closes what is open.
func (c *portableConn) serve() {
	reason, orderly := c.live()
	c.mu.Lock()
	s := c.summary(reason)
	c.eng.opts.Handler.Closed(&s)
	c.over = true
	c.mu.Unlock()
	for _, sock := range c.ends {
		if sock == nil {
			continue
		}
		if !orderly {
			sock.SetLinger(0) // close sends RST instead of FIN, socket(7)
		}
		sock.Close()
	}
	c.kill(nil) // releases the context
	c.eng.forget(c)
}

// live is a connection from accept to the moment before its sockets are closed, orderly or by reset.
func (c *portableConn) live() (reason Reason, orderly bool) {
	if c.refused != None {
		return c.refused, false
	}
	c.eng.tuneSocket(c.ends[client])
	if r := c.accepted(); r != None {
		return r, false
	}
	preface, r := c.preface()
	if r != None {
		return r, r == Probe
	}
	for {
		if r := c.dial(); r != None {
			return r, false
		}
		if !c.greet() {
			return Internal, false
		}
		if reason, orderly = c.relay(preface); reason != None {
			return reason, orderly
		}
		preface = c.replace()
	}
}
