#!lua
return { "absent", "0" }
