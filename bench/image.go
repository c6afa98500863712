package main

func (b *bench) image() {}
