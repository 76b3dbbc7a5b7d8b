package main

// laterVerbs are the verbs of the interface that this version does not have yet.
var laterVerbs = []string{"conns", "doctor", "top", "upgrade"}

const notYet = "is not supported by this version yet"
