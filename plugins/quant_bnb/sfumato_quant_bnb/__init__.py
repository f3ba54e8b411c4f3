"""Weights in 4 and 8 bits for Sfumato: NF4, FP4 and int8 by bitsandbytes, fp8 with and without scales"""
