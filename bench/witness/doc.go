// Package witness is clients that notice what the replacement of a relay costs them: some whose connections work all the time,
// some whose connections idle, and some that connect anew again and again. Unlike bench/load it goes on when a connection is lost,
// and counts it.
package witness
