module example/hvpt

go 1.19
